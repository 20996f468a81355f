TARGETS: dict[str, object]
