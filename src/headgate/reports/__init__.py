"""This folder is where people and systems are told: one module for each way of telling."""
