# The same commands that CI runs; each works from a fresh checkout.
.PHONY: test check slow sim bench clean

test:
	python3 dev.py test

check:
	python3 dev.py check

slow:
	python3 dev.py test -m slow

# make sim SEEDS=1000
SEEDS ?= 500
sim:
	python3 dev.py ready
	.venv/bin/python tests/sim/run_seeds.py $(SEEDS)

# make bench ROUNDS=3
ROUNDS ?= 3
bench:
	python3 dev.py ready
	.venv/bin/python compat/bench/bench.py --rounds $(ROUNDS)

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
