"""Schedules in the admin: their form, what they are about to do, what they did, and what operators do with them."""
