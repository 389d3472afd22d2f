"""One module per analysis: settings in, tidy rows out."""
