# make help lists the targets. Everything runs in .venv, which the first target makes.
PYTHON ?= python3
RUN := .venv/bin/python -m
LESSONS := notebooks/[0-9]*.ipynb
ASSIGNMENTS := notebooks/assignments/source/*/*.ipynb
# Small models are faster on one thread, and the figures steadier.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: environment lab test refresh release grade mutants matrix bench bench-batch-size html clean help

environment: .venv/complete  ## make .venv with all that the other targets need (once, and after a change of versions)

.venv/complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " \
	  + sys.version.split()[0] + ". Name another: make PYTHON=python3.13 environment")'
	$(PYTHON) -m venv .venv
	$(RUN) pip install --disable-pip-version-check --constraint constraints.txt --editable '.[frameworks,grading,test]'
	@touch $@

lab: environment  ## open lesson 00 in JupyterLab
	OMP_NUM_THREADS= $(RUN) jupyterlab --ip=127.0.0.1 --ServerApp.root_dir=. \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

test: environment  ## run everything that is tested: package, lessons (every output compared), browser, environment
	$(RUN) ruff check --quiet
	$(RUN) pytest --nbval -n 2 --dist loadscope

refresh: environment  ## run lessons and assignments, and store their outputs
	$(RUN) tests.refresh $(LESSONS) $(ASSIGNMENTS)

release: environment  ## write what students get, notebooks/assignments/release, from source/
	.venv/bin/python notebooks/assignments/grading.py release

grade: environment  ## grade what lies in notebooks/assignments/submitted (one assignment: make grade NAME=accumulation)
	.venv/bin/python notebooks/assignments/grading.py grade $(NAME)

mutants: environment  ## change each solution in one place, and count how often the graders notice (one assignment: make mutants NAME=...)
	$(RUN) tests.mutation $(NAME)

matrix: environment  ## run lessons and assignments as other machines and readers would (long; part of it: make matrix ONLY=twice)
	$(RUN) tests.matrix --only="$(ONLY)" $(LESSONS) $(ASSIGNMENTS)

bench: environment  ## measure what benchmarks/ measures and store it as one table (on an idle machine)
	$(RUN) benchmarks.explorers
	$(RUN) benchmarks.loops
	$(RUN) benchmarks.equality
	$(RUN) benchmarks.memory
	$(RUN) benchmarks.data_path
	$(RUN) benchmarks.watch
	$(RUN) torch.distributed.run --standalone --nproc-per-node=2 --module benchmarks.frameworks
	$(RUN) benchmarks.table
	$(RUN) tests.refresh $(LESSONS)  # some of them show what was measured
	$(RUN) benchmarks.lessons
	$(RUN) benchmarks.table

bench-batch-size: environment  ## measure the table of lesson 03 (a quarter of an hour; goes on where it was interrupted)
	$(RUN) benchmarks.batch_size
	$(RUN) benchmarks.table
	$(RUN) tests.refresh $(LESSONS)  # one of them shows the table

html: environment  ## write the lessons as HTML pages into build/html
	$(RUN) nbconvert --to html --output-dir build/html $(LESSONS)

clean:  ## remove .venv and all that was generated
	rm -rf .venv build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20
