"""The small package behind the lessons: each module is built by hand in a lesson before a lesson uses it.

Importing `course_utils` imports nothing else, so that `course_utils.environment` can tell what is missing.
"""
