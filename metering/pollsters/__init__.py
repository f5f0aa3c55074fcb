"""What can be polled: kinds of resource, their meters, when they are due, and what answers mean."""
