"""The small package behind the lessons: each module is built by hand in a lesson before a lesson uses it.

An argument of a type that a function cannot take is a TypeError, one with such a value a ValueError, each before any
work is done. The error names the argument, its value and what is allowed; docstrings say what is not obvious.

Importing `course_utils` imports nothing else, so that `course_utils.environment` can tell what is missing.
"""
