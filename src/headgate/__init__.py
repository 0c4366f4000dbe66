"""Headgate: the control plane for data ingestion around DataHub and an AWS lakehouse."""

__version__ = "0.1.0"
