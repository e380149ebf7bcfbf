"""The tasks by name: one file for each, loaded when it is asked for."""

from wellbegun.lab.tasks.registry import TASKS, TaskEntry, find_task, load_task

__all__ = ["TASKS", "TaskEntry", "find_task", "load_task"]
