"""This folder is where what AWS's services have in common is tested."""
