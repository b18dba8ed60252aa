"""This repository's own lake: nothing to override, the matrix says it all."""

# pytest lets only this conftest ask for plugins; the project's own tests run pytest inside pytest.
pytest_plugins = ["pytester"]
