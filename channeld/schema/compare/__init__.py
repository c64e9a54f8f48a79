"""Two schemas compared by what they accept. Read `compare.py`, then `normalize.py` and `normal_form.py`."""
