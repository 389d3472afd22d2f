"""The small LLaVA on a real, pretrained encoder (DINOv2-small) that this repository ships."""
