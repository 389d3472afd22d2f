"""Ways to spend a budget of visual tokens; `vzlib.methods.registry` knows them by name."""
