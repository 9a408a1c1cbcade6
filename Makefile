PYTHON ?= python3
VENV ?= .venv
DATA ?= $(EDGE_MELANOMA_DATA)
WEIGHTS ?= $(EDGE_MELANOMA_WEIGHTS)
EXTERNAL ?=

demo: $(VENV)/ready
	$(VENV)/bin/edge-melanoma demo --out demo
test: $(VENV)/ready
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
thorough: $(VENV)/ready
	$(VENV)/bin/python -m pytest -m "thorough and not slow" -n 2 --dist loadfile
lint: $(VENV)/ready
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports
docs: $(VENV)/ready
	$(VENV)/bin/pip install --quiet -e '.[docs]' && $(VENV)/bin/zensical build --strict --clean
	cp --parents -r benchmarks/results/*.png benchmarks/github_actions/parity.yml \
	  edge_melanoma/data/images.py edge_melanoma/network/recipes.py tests/fixtures/bad_images/fates.json build/site
# The pictures of README, of generated lesions.
screenshots: clients-web
	test -d build/demo || $(VENV)/bin/edge-melanoma demo --out build/demo
	$(VENV)/bin/python tests/documents/screenshots.py --report build/demo/run/bench/report.html \
	  --web build/clients/screenshots
documents: $(VENV)/ready
	$(VENV)/bin/python -m pytest -m documents -n 2 --dist worksteal
audit: $(VENV)/ready
	$(VENV)/bin/pip install --quiet -e '.[audit]' && $(VENV)/bin/python tests/audit.py
results: $(VENV)/ready
	$(VENV)/bin/python benchmarks/measurements/results.py --data "$(DATA)" --weights "$(WEIGHTS)" \
	  $(EXTERNAL:%=--external %) --readme docs/measurements.md --keep benchmarks/results
	$(VENV)/bin/python benchmarks/measurements/evidence.py runs/results --data "$(DATA)" --weights "$(WEIGHTS)" \
	  --readme docs/quantisation.md
SETS_IN ?= $(DATA)/..
SETS ?= melanoma-10605 ham10000-224 isic2017-msk-uda-224 isic2019-bcn-84 isic-uda1
OUTSIDE ?= ph2-200
SHIPPED ?= build/best

# The model in the package: trained, and then exported, measured, described, put in place. Some three hours.
model: $(VENV)/ready
	$(VENV)/bin/edge-melanoma train --variant best --split folders --resume --out $(SHIPPED) \
	  $(SETS:%=--data "$(SETS_IN)/%") --weights "$(WEIGHTS)" $(foreach set,$(OUTSIDE),--external $(set)="$(SETS_IN)/$(set)")
	$(MAKE) shipped
shipped: $(VENV)/ready
	$(VENV)/bin/edge-melanoma export $(SHIPPED) --quantize float16 --quantize int8 --quantize int8-qat
	$(VENV)/bin/edge-melanoma evaluate $(SHIPPED)/exports/model_int8-qat.tflite \
	  $(foreach set,$(OUTSIDE),--external $(set)="$(SETS_IN)/$(set)") --json $(SHIPPED)/exports/model_int8-qat.evaluation.json
	$(VENV)/bin/edge-melanoma bench $(SHIPPED) $(foreach set,$(OUTSIDE),--external $(set)="$(SETS_IN)/$(set)") || test $$? = 1
	$(VENV)/bin/edge-melanoma card $(SHIPPED) --force
	$(VENV)/bin/python benchmarks/measurements/ship.py $(SHIPPED) --mode int8-qat
	$(VENV)/bin/edge-melanoma android bundled --out $(BUNDLE) --force
CLIENTS = kotlin web tfjs mediapipe tflite-runtime litert arm64
BUNDLE ?= android_assets

clients: $(CLIENTS:%=clients-%)
	$(VENV)/bin/python benchmarks/measurements/readme.py clients $(CLIENTS:%=build/clients/%.json) \
	  --bundle $(BUNDLE)
	$(VENV)/bin/edge-melanoma android bundled --out $(BUNDLE) --force
clients-kotlin: $(VENV)/ready
	$(VENV)/bin/python tests/clients/kotlin/kotlin_run.py --bundle $(BUNDLE)
clients-tfjs clients-mediapipe clients-tflite-runtime clients-litert clients-arm64: clients-%: $(VENV)/ready
	$(VENV)/bin/python tests/clients/interpreters/$(subst -,_,$*)_client.py --bundle $(BUNDLE)
clients-web: $(VENV)/ready
	$(VENV)/bin/python tests/clients/web/web_run.py --bundle $(BUNDLE)
HAZARDS = images models strangers children interruptions
ROUNDS ?= 20
hazards: $(VENV)/ready
	mkdir -p build/hazards
	$(VENV)/bin/python tests/hazards/images.py --out build/hazards/images.json
	$(VENV)/bin/python tests/hazards/models.py --out build/hazards/models.json
	$(VENV)/bin/python tests/hazards/strangers.py --out build/hazards/strangers.json --rounds $(ROUNDS)
	$(VENV)/bin/python tests/hazards/children.py --out build/hazards/children.json --rounds $(ROUNDS)
	$(VENV)/bin/python tests/hazards/interruptions.py --out build/hazards/interruptions.json \
	  --rounds $(ROUNDS)
	$(VENV)/bin/python benchmarks/measurements/readme.py hazards $(HAZARDS:%=build/hazards/%.json) \
	  --keep benchmarks/results/hazards.json --readme docs/hazards.md
fuzz: $(VENV)/ready
	$(VENV)/bin/pip install --quiet -e '.[fuzz]' && $(VENV)/bin/python tests/fuzz/fuzz_readers.py

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV) && $(VENV)/bin/pip install --quiet -e '.[train,test]' && touch $@
.PHONY: thorough docs documents screenshots model shipped audit demo hazards test lint results fuzz clients $(CLIENTS:%=clients-%)
