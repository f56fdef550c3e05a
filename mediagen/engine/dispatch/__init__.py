"""Telling whoever works that something waits: the site's task engine, or this process.

A message is only a kick: the truth is the rows, and a kick that is lost changes nothing but the time at which work
begins. `task_engine` (kick it), `waiting` (a signal that the room `work` joins), `periodic` (until stopped).
"""
