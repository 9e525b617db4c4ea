"""The pages that decide: AWS's own, and what others have measured on AWS and told in public."""

AWS = "https://docs.aws.amazon.com"
HTTP_API = f"{AWS}/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html"
REST_API = f"{AWS}/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"
LOAD_BALANCER = f"{AWS}/elasticloadbalancing/latest/application/lambda-functions.html"
FORWARDED = f"{AWS}/elasticloadbalancing/latest/application/x-forwarded-headers.html"
ROUTES = f"{AWS}/apigateway/latest/developerguide/http-api-develop-routes.html"
RULES = f"{AWS}/elasticloadbalancing/latest/APIReference/API_PathPatternConditionConfig.html"
GITHUB = "https://github.com"
# Measured on AWS, and told in public.
CAPTURED = f"{GITHUB}/dherault/serverless-offline/pull/1776"
DECODED = f"{GITHUB}/middleapi/standard-server/pull/93"
BINARY = f"{GITHUB}/ministackorg/ministack/pull/766"
BINARY_REST = f"{GITHUB}/ministackorg/ministack/pull/767"
OMITS = f"{GITHUB}/ministackorg/ministack/pull/1163"
RAW_QUERY = f"{GITHUB}/ministackorg/ministack/issues/1035"
STAGES = f"{GITHUB}/aws-powertools/powertools-lambda-python/pull/579"
PARAMETERS = f"{GITHUB}/serverless/serverless/issues/5037"
REST_PATHS = f"{GITHUB}/dherault/serverless-offline/issues/1029"
SLASHES = (
    f"{GITHUB}/localstack/localstack/blob/main/tests/aws/services/apigateway/"
    "test_apigateway_lambda.snapshot.json"
)
NAMES_REST = f"{GITHUB}/grammyjs/grammY/pull/900"
LENGTH = f"{GITHUB}/aws/aws-lambda-dotnet/pull/1929"
CAPTURED_V1 = (
    f"{GITHUB}/spring-cloud/spring-cloud-function/blob/main/spring-cloud-function-adapters/"
    "spring-cloud-function-adapter-aws/src/test/java/org/springframework/cloud/function/adapter/"
    "aws/CustomRuntimeEventLoopTest.java"
)
