"""pico-video: pico's tower, and its language model trained on to read clips and albums."""
