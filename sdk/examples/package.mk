# What the Makefiles of the examples share. `make` leaves in `build` what `coppice s9pk pack build` takes; its images
# want root.
NAME = $(notdir $(CURDIR))

.PHONY: all test
all:
	../build.sh $(NAME) build

test: ../node_modules/.installed
	@npm run --silent --prefix ../../coppice build
	@npm run --silent --prefix .. --workspace $(NAME) build
	@cd .. && npx tsc -p test && unshare --map-root-user --mount node --test test/dist/test/$(NAME).test.js

../node_modules/.installed: ../package-lock.json
	npm ci --prefix ../../coppice --no-audit --no-fund
	npm ci --prefix .. --no-audit --no-fund
	cp $< $@
