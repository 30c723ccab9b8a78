"""Trackers: what a tracked object contributes to a priority, or which fault it causes."""
