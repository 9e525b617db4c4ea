"""AWS on one machine: Lambda and its front doors, ECS and its load balancer."""
