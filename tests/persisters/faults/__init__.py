"""Histories from seeds in which everything that may go wrong goes wrong, and what must hold nevertheless.

A `plan` says what happens, step by step. A `life` is one run of a program with a store, a persister and a
medium; it ends by closing or by being killed. `pace` lets the database's thread go on only when the plan says
so, on a clock that only the plan moves, so that a seed decides everything. The `ledger` knows who has written
what and when, and therefore what may stand in the medium.
"""
