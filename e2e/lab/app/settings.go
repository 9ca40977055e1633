package app

// The application's settings, read once from its environment. It deliberately
// refuses a value it cannot read: a demo that ignores ERROR_RATE=1O% proves nothing.

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Settings is the environment after validation.
type Settings struct {
	Version                   string
	Pod                       string
	Addresses                 []string
	ErrorRate                 float64
	LatencyMilliseconds       int
	LatencyJitterMilliseconds int
	NeverReady                bool
	ReadyAfter                time.Duration
	Drain                     time.Duration
}

func settingsFromEnvironment(get func(string) string) (Settings, error) {
	settings := Settings{Version: orDefault(get("VERSION"), "unknown"), Pod: get("POD_NAME")}
	if settings.Pod == "" {
		settings.Pod, _ = os.Hostname()
	}
	var err error
	if settings.ErrorRate, err = parseRate(orDefault(get("ERROR_RATE"), "0")); err != nil {
		return settings, fmt.Errorf("ERROR_RATE: %w", err)
	}
	for name, target := range map[string]*int{
		"LATENCY_MS":        &settings.LatencyMilliseconds,
		"LATENCY_JITTER_MS": &settings.LatencyJitterMilliseconds,
	} {
		if *target, err = strconv.Atoi(orDefault(get(name), "0")); err != nil || *target < 0 {
			return settings, fmt.Errorf("%s must be a number of milliseconds", name)
		}
	}
	settings.NeverReady = get("READY_AFTER") == "never"
	if !settings.NeverReady {
		if settings.ReadyAfter, err = time.ParseDuration(orDefault(get("READY_AFTER"), "0s")); err != nil {
			return settings, fmt.Errorf("READY_AFTER must be a duration or never: %w", err)
		}
	}
	if settings.Drain, err = time.ParseDuration(orDefault(get("DRAIN"), "2s")); err != nil {
		return settings, fmt.Errorf("DRAIN must be a duration: %w", err)
	}
	host := orDefault(get("POD_IP"), "127.0.0.1")
	settings.Addresses = []string{net.JoinHostPort(host, orDefault(get("PORT"), "8080"))}
	if second := get("PORT2"); second != "" {
		settings.Addresses = append(settings.Addresses, net.JoinHostPort(host, second))
	}
	return settings, nil
}

func parseRate(text string) (float64, error) {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate >= 0 && rate <= 1) {
		return 0, fmt.Errorf("rate must be between 0 and 1, not %q", text)
	}
	return rate, nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
