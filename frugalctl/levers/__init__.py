"""The ways to spend less, one lever each; none imports another."""
