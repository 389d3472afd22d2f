"""`make bench`: the ratios by which this library is judged, all from one run on one device."""
