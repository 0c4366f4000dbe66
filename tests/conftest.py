"""This file is where pytest starts looking, which puts what tests share (`browser`, `fakes`) where all can import it."""
