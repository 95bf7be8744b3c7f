# make help lists the targets. Everything runs in .venv, which the first target makes.
PYTHON ?= python3
RUN := .venv/bin/python -m
LESSONS := notebooks/[0-9]*.ipynb
# Small models are faster on one thread, and the figures steadier.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: environment lab test refresh matrix bench bench-batch-size html clean help

environment: .venv/complete  ## make .venv with all that the other targets need (once, and after a change of versions)

.venv/complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " \
	  + sys.version.split()[0] + ". Name another: make PYTHON=python3.13 environment")'
	$(PYTHON) -m venv .venv
	$(RUN) pip install --disable-pip-version-check --constraint constraints.txt --editable '.[frameworks,test]'
	@touch $@

lab: environment  ## open lesson 00 in JupyterLab
	OMP_NUM_THREADS= $(RUN) jupyterlab --ip=127.0.0.1 --ServerApp.root_dir=. \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

test: environment  ## run everything that is tested: package, lessons (every output compared), browser, environment
	$(RUN) ruff check --quiet
	$(RUN) pytest --nbval -n 2 --dist loadscope

refresh: environment  ## run the lessons and store their outputs
	$(RUN) tests.refresh $(LESSONS)

matrix: environment  ## run the lessons under each CPU capability, with 1 and 2 threads, and without a network
	$(RUN) tests.matrix $(LESSONS)

bench: environment  ## measure what benchmarks/ measures and store the tables
	$(RUN) benchmarks.data_path
	$(RUN) benchmarks.loops
	$(RUN) torch.distributed.run --standalone --nproc-per-node=2 --module benchmarks.frameworks

bench-batch-size: environment  ## measure the table of lesson 03 (a quarter of an hour; goes on where it was interrupted)
	$(RUN) benchmarks.batch_size

html: environment  ## write the lessons as HTML pages into build/html
	$(RUN) nbconvert --to html --output-dir build/html $(LESSONS)

clean:  ## remove .venv and all that was generated
	rm -rf .venv build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20
