"""What is read from the network, by the worker alone: bounded, and never from private addresses unless allowed."""
