"""The small LLaVA that this repository trains from scratch, on scenes, and ships."""
