"""Whose tokens are looked at, and how."""

import pytest


@pytest.fixture
def user(identities):
    """A member whose tokens come from a client that the tests can use."""
    return next(one for one in identities.members if one.client_id)


@pytest.fixture
def area(identities, user):
    """The path that belongs to the user's experiment."""
    return identities.experiment(user).area


@pytest.fixture
def ask(iam, user):
    """Ask for a token of the user's, whatever is answered: ``ask("wlcg.groups", audience="a")``."""

    def run(scope, **form):
        return iam.ask_for_token(user, scope=scope, **form)

    return run


@pytest.fixture
def claims_of(iam, ask):
    """The verified claims of a token of the user's: ``claims_of("wlcg.groups")``."""

    def run(scope, **form):
        answer = ask(scope, **form)
        assert answer.status == 200, answer.text
        return iam.claims(answer.token)

    return run


@pytest.fixture
def granted(iam, ask):
    """The scopes that a request is granted, none where it is refused; the client must be told of both."""

    def run(scope, **form):
        answer = ask(scope, **form)
        if answer.status != 200:
            assert 400 <= answer.status < 500, answer.text
            assert answer.error, answer.text
            assert not answer.token
            return []
        scopes = iam.claims(answer.token).get("scope", "").split()
        if set(scopes) != set(scope.split()):  # RFC 6749, 3.3: else the client is not told
            assert answer.document.get("scope", "").split() == scopes
        return scopes

    return run
