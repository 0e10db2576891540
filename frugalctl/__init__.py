"""frugalctl: replay an LLM request log through every lever, with dated prices."""

__version__ = "0.1.0"
