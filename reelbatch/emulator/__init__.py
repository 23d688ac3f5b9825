"""A local fal: queue, results, webhooks, storage, platform, with faults on demand.

Written from fal.md alone. It imports nothing of the rest of Reelbatch, so that what our
client and this server agree on is the contract, and never a shared mistake.
"""
