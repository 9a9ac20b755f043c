# Reference values for tests/test_descriptives.py. Run in this directory: Rscript descriptives.R
# Data: the first 200 rows of `bfi` (package psych; SAPA project), with missing values punched by a
# fixed seed, and five 0/1 outcomes made from it. Only base R computes the values.

library(psych)
data(bfi)
x <- bfi[1:200, c("gender", "education", "A1", "A2", "A3", "A4", "A5", "N1", "N2")]
set.seed(21)
for (name in setdiff(names(x), "education")) x[sample(200, 10), name] <- NA
yes <- function(condition) as.integer(condition)
x$low_a1 <- yes(x$A1 <= 2)      # large counts
x$high_a2 <- yes(x$A2 >= 5)
x$rare_a5 <- yes(x$A5 == 1)     # small expected counts
x$rare_n1 <- yes(x$N1 == 6 & x$N2 == 6)
x$never <- yes(x$A1 > 6)        # nobody
x[c(5, 60, 61), c("low_a1", "high_a2", "rare_a5", "rare_n1", "never")] <- NA  # no option at all
write.csv(x, "descriptives_bfi.csv", row.names = FALSE, na = "")
save <- function(rows, name) {
  table <- if (is.data.frame(rows)) rows else do.call(rbind, rows)
  write.csv(table, paste0("descriptives_", name, ".csv"), row.names = FALSE, na = "")
}

wilson <- function(n, n_valid, level = .95)
  100 * as.vector(suppressWarnings(prop.test(n, n_valid, correct = FALSE, conf.level = level)$conf.int))
share <- function(n, n_valid, level = .95) {
  ci <- wilson(n, n_valid, level)
  data.frame(n = n, n_valid = n_valid, percent = 100 * n / n_valid, ci_low = ci[1], ci_high = ci[2])
}

likert <- c("A1", "A2", "A3", "A4", "A5", "N1", "N2")
binary <- c("low_a1", "high_a2", "rare_a5", "rare_n1", "never")

frequency <- function(name, codes, level = .95) do.call(rbind, lapply(codes, function(code)
  data.frame(variable = name, code = code,
             share(sum(x[[name]] == code, na.rm = TRUE), sum(!is.na(x[[name]])), level))))
save(frequency("education", 0:6), "frequencies")
save(frequency("education", 0:6, .90), "frequencies_90")
save(lapply(likert, frequency, codes = 1:6), "distributions")
save(lapply(likert, function(name)
  data.frame(variable = name, share(sum(x[[name]] %in% 5:6), sum(!is.na(x[[name]]))))), "shares")
answered <- sum(rowSums(!is.na(x[binary])) > 0)
save(lapply(binary, function(name)
  data.frame(variable = name, share(sum(x[[name]], na.rm = TRUE), answered))), "multiple_response")

mean_row <- function(name, level) {
  v <- na.omit(x[[name]])
  ci <- t.test(v, conf.level = level)$conf.int
  data.frame(variable = name, n = length(v), mean = mean(v), sd = sd(v),
             se = sd(v) / sqrt(length(v)), ci_low = ci[1], ci_high = ci[2], median = median(v))
}
save(lapply(likert, mean_row, .95), "means")
save(lapply(likert, mean_row, .90), "means_90")

# Limits of the noncentrality of t (Steiger & Fouladi 1997), by base R's pt.
ncp <- function(t, df, level = .95) sapply(c((1 + level) / 2, (1 - level) / 2), function(p)
  uniroot(function(d) suppressWarnings(pt(t, df, d)) - p, t + c(-9, 9), tol = 1e-13)$root)

pairs <- list(c("A1", "A2"), c("A2", "A3"), c("A4", "A5"), c("N1", "N2"), c("A5", "A4"))
gap <- function(pair, data = x) {
  v <- na.omit(data[pair]); d <- v[[2]] - v[[1]]; n <- length(d)
  test <- t.test(v[[2]], v[[1]], paired = TRUE)
  limits <- ncp(test$statistic, n - 1) / sqrt(n)
  data.frame(first = pair[1], second = pair[2], n = n, mean_first = mean(v[[1]]),
             mean_second = mean(v[[2]]), difference = test$estimate[[1]], sd_difference = sd(d),
             se = test$stderr, ci_low = test$conf.int[1], ci_high = test$conf.int[2],
             t = test$statistic, df = test$parameter, p = test$p.value, p_holm = NA,
             cohens_dz = mean(d) / sd(d), dz_ci_low = limits[1], dz_ci_high = limits[2])
}
holm <- function(rows) { rows <- do.call(rbind, rows); rows$p_holm <- p.adjust(rows$p, "holm"); rows }
save(holm(lapply(pairs, gap)), "paired_gaps")
few <- data.frame(before = 0, after = 7:11)  # far from 0: the distribution function underflows
save(holm(lapply(list(c("before", "after"), c("after", "before")), gap, data = few)), "few")

both <- function(name) lapply(1:2, function(g) na.omit(x[[name]][which(x$gender == g)]))
welch <- function(name) {
  v <- both(name); n <- lengths(v); m <- sum(n) - 2
  test <- t.test(v[[2]], v[[1]])
  pooled <- t.test(v[[2]], v[[1]], var.equal = TRUE)
  j <- exp(lgamma(m / 2) - lgamma((m - 1) / 2)) / sqrt(m / 2)
  s <- sqrt(((n[1] - 1) * var(v[[1]]) + (n[2] - 1) * var(v[[2]])) / m)
  limits <- j * ncp(pooled$statistic, m) * sqrt(1 / n[1] + 1 / n[2])
  data.frame(variable = name, group = "gender", first = 1, second = 2, n_first = n[1],
             n_second = n[2], mean_first = mean(v[[1]]), mean_second = mean(v[[2]]),
             sd_first = sd(v[[1]]), sd_second = sd(v[[2]]),
             difference = mean(v[[2]]) - mean(v[[1]]), se = test$stderr,
             ci_low = test$conf.int[1], ci_high = test$conf.int[2], t = test$statistic,
             df = test$parameter, p = test$p.value, p_holm = NA,
             hedges_g = j * (mean(v[[2]]) - mean(v[[1]])) / s, g_ci_low = limits[1],
             g_ci_high = limits[2])
}
save(holm(lapply(likert, welch)), "compare_means")

# Newcombe (1998), method 10: from the Wilson limits of the two shares.
newcombe <- function(yes, n) {
  p <- yes / n; w1 <- wilson(yes[1], n[1]) / 100; w2 <- wilson(yes[2], n[2]) / 100
  d <- p[2] - p[1]
  100 * c(d - sqrt((p[2] - w2[1])^2 + (w1[2] - p[1])^2),
          d + sqrt((w2[2] - p[2])^2 + (p[1] - w1[1])^2))
}
two_by_two <- function(name) {
  v <- both(name); n <- lengths(v); yes <- sapply(v, sum); p <- yes / n
  counts <- rbind(yes, n - yes)
  chi <- suppressWarnings(chisq.test(counts, correct = FALSE))
  small <- min(chi$expected) < 5
  ci <- newcombe(yes, n)
  data.frame(variable = name, group = "gender", first = 1, second = 2, n_first = n[1],
             n_second = n[2], percent_first = 100 * p[1], percent_second = 100 * p[2],
             difference = 100 * (p[2] - p[1]), ci_low = ci[1], ci_high = ci[2],
             chi2 = chi$statistic, df = 1, min_expected = min(chi$expected),
             test = if (small) "fisher" else "chi2",
             p = if (small) fisher.test(counts)$p.value else chi$p.value, p_holm = NA,
             phi = sign(p[2] - p[1]) * sqrt(chi$statistic / sum(n)))
}
save(holm(lapply(binary, two_by_two)), "compare_shares")

writeLines(capture.output(sessionInfo()), "descriptives_sessioninfo.txt")
