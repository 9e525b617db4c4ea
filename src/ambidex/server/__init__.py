"""The ECS side in the image: uvicorn, configured for a load balancer and for ECS's stop."""
