"""What is asked of a network: receptive fields, MACs, latency and memory; and the machine that they are measured on."""
