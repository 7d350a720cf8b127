"""What strangers send, damaged: `make fuzz` for minutes with atheris, test_fuzz.py for seconds."""
