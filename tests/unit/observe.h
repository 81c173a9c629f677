// What a piece of code does that no return value tells: it dies of an assertion, or writes to the
// log.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/fake/world.h"

namespace srp::test {

// What the fakes or an assertion say when they end the process in which action runs; empty if they
// do not. The process is a copy of this one.
template <class Action>
std::string last_words(Action&& action) {
  void* shared = mmap(nullptr, fake::failure_text_bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* text = static_cast<char*>(shared);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    fake::failure_text = text;
    (void)!std::freopen("/dev/null", "w", stdout);
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::string words = text;
  if (words.empty() && status != 0) words = "ended without a word";
  munmap(shared, fake::failure_text_bytes);
  return words;
}

// The log lines that action causes.
template <class Action>
std::string log_of(Action&& action) {
  std::fflush(stdout);
  std::FILE* file = std::tmpfile();
  const int terminal = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  const bool traced = fake::tracing();
  fake::set_tracing(true);
  action();
  fake::set_tracing(traced);
  std::fflush(stdout);
  dup2(terminal, STDOUT_FILENO);
  close(terminal);
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

inline unsigned occurrences(const std::string& text, const std::string& part) {
  unsigned count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace srp::test
