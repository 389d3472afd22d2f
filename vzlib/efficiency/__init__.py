"""What a model costs: time by part, peak memory and FLOPs, on geometries that need no download."""
