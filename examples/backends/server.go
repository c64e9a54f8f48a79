// The hooks of channels.yaml, answered by Go (see README.md).
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any
type hook struct {
	Hook    string
	Message struct{ Text string }
	Request struct{ Query map[string]string }
}

var sessions = map[string]object{"ann-session": {"id": "ann"}, "bob-session": {"id": "bob"}}

func signed(key []byte, h http.Header, body []byte) bool {
	moment, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	sum := hmac.New(sha256.New, key)
	io.WriteString(sum, h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+string(body))
	wanted := []byte("v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	return hmac.Equal(wanted, []byte(h.Get("webhook-signature"))) && err == nil && time.Since(time.Unix(moment, 0)).Abs() < 5*time.Minute
}
func answer(asked hook) object {
	if asked.Hook == "authenticate" {
		return object{"user": sessions[asked.Request.Query["token"]]}
	}
	text := strings.TrimSpace(asked.Message.Text)
	if text != strings.ToLower(text) && text == strings.ToUpper(text) {
		return object{"reject": object{"code": "NO_SHOUTING", "message": "please don't shout"}}
	}
	return object{"message": object{"text": text}}
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("CHANNELD_HOOK_SECRET"), "whsec_"))
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/hooks/", func(w http.ResponseWriter, r *http.Request) {
		var asked hook
		body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 2<<20))
		if signed(key, r.Header, body) && json.Unmarshal(body, &asked) == nil {
			json.NewEncoder(w).Encode(answer(asked))
		} else {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
