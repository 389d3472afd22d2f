"""Table 3 and question Q4: clips and several images within one budget."""
