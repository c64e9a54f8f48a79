from channeld.plan.template_closures import text_of


def test_text_of_scalars_is_json() -> None:
    assert [text_of(v) for v in ("a", True, None, 1, 1.0)] == ["a", "true", "null", "1", "1.0"]
