"""A cluster on one machine: three NATS servers, three server nodes, clients on all of them."""
