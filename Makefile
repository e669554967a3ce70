# The verbs. `make run` is the one to start with; what has a branch or a loop is in xtask/, one file per verb.
# ARGS is handed on: `make run ARGS='--data-dir /srv/coppice'`, `make test ARGS=hello`.
.PHONY: run stop clean-run test test-fresh test-vm check gen bench fuzz chaos
run stop clean-run test test-fresh test-vm check gen bench fuzz chaos:
	@setup/ready.sh $@ $(ARGS)
