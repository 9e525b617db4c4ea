"""What the API tells of the function: what is true on this machine, and nothing else.

Left out is what a function on AWS has and this one has not: a role, an image and its digest, a
revision, the size of /tmp, which is not limited here.

Source: lambda/latest/api/API_FunctionConfiguration.html
"""

import platform
from typing import Any

from ambidex.local.variables import Function

# Lambda's names for what this machine says of itself.
_ARCHITECTURES = {"aarch64": "arm64", "AMD64": "x86_64"}


def configuration(function: Function, qualifier: str) -> dict[str, Any]:
    """The configuration of a function that is an image.

    Args:
        function: the one that there is.
        qualifier: the one by which it was asked for; the ARN then has it, too.
    """
    machine = platform.machine()
    return {
        "FunctionName": function.name,
        "FunctionArn": f"{function.arn}:{qualifier}" if qualifier else function.arn,
        "PackageType": "Image",
        "Version": function.version,
        "Timeout": function.timeout_s,
        "MemorySize": function.memory_mib,
        "Architectures": [_ARCHITECTURES.get(machine, machine)],
        "Environment": {"Variables": function.variables},
        "LoggingConfig": {
            "LogFormat": function.environ.get("AWS_LAMBDA_LOG_FORMAT", "Text"),
            "LogGroup": function.log_group,
        },
        "TracingConfig": {"Mode": "PassThrough"},
        "SnapStart": {
            "ApplyOn": "PublishedVersions" if function.has_snapshots else "None",
            "OptimizationStatus": "On" if function.has_snapshots else "Off",
        },
    }


# Source: lambda/latest/api/API_ListFunctions.html, which says that the list has no states.
STATES = {"State": "Active", "LastUpdateStatus": "Successful"}
"""What GetFunction and GetFunctionConfiguration tell besides: it can be invoked."""
