"""This folder is where tests start the real services they need, and end them by their process ids."""
