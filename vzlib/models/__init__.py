"""VisionZip on stock Hugging Face models."""
