"""This file is where pytest starts, which puts what tests share (`browser`, `fakes`) where all can import it."""
