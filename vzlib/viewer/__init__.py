"""What one sees and asks by hand: the page of `vzlib view`, and `vzlib.show` in a notebook.

`pictures`, `models`, `fates`, `seeing`, `asking` and `settings` compute, `draw` and `words` put it
into pictures and words, `page` and `serve` show it with Gradio, `widget` in a notebook.
"""
