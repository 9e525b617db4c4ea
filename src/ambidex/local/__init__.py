"""AWS on one machine: the Lambda service, its front doors, the ECS service and its load balancer."""
