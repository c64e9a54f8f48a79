from channeld.api.problems import MEDIA_TYPE, Problem
from channeld.schema.violations import Violation


def test_a_problem_says_where() -> None:
    told = Problem(422, "no", [Violation("/text", "is too long", "maxLength")]).document()
    assert told == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "no",
        "errors": [{"path": "/text", "message": "is too long", "keyword": "maxLength"}],
    }


def test_without_violations_there_are_no_errors() -> None:
    assert "errors" not in Problem(404, "no").document()


def test_the_answer_has_its_type_and_headers() -> None:
    response = Problem(503, "later", headers={"retry-after": "3"}).response()
    assert (response.status_code, response.media_type) == (503, MEDIA_TYPE)
    assert response.headers["retry-after"] == "3"
