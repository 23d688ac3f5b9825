"""Bytes from elsewhere: fetched under rules, and looked at before they count."""
